// find-my-way on the routes of bench/native/routes.c: node routes.js ROUTES LOOKUPS; prints "exact-again NANOSECONDS".
const router = require('find-my-way')();
const [routes, lookups] = process.argv.slice(2).map(Number);

for (let i = 0; i < routes; i++) {
  const path = i % 10 === 0 ? `/service/${i}/items/*` : `/service/${i}/items/list`;
  for (const method of ['GET', 'POST']) router.on(method, path, { constraints: { host: `tenant${i % 4}.example.net` } }, () => {});
}
function run(count) {
  const begun = process.hrtime.bigint();
  for (let i = 0; i < count; i++) {
    if (router.find('GET', '/service/4321/items/list', { host: 'tenant1.example.net' }) === null) throw new Error('not found');
  }
  return Number(process.hrtime.bigint() - begun) / count;
}
run(lookups / 10);
console.log(`exact-again ${run(lookups).toFixed(1)}`);
