// What Node.js makes of a request: method, target and the body's bytes. Two ports: the first is compared, the second stands
// behind nginx and says what nginx made of it.
const http = require('http');

function echo(request, response) {
  const pieces = [];
  request.on('data', (piece) => pieces.push(piece));
  request.on('end', () => {
    const text = JSON.stringify({ m: request.method, b: Buffer.concat(pieces).toString('hex') });
    response.writeHead(200, { 'Content-Type': 'application/json', 'Content-Length': text.length });
    response.end(text);
  });
}

for (const port of process.argv.slice(2)) {
  http.createServer(echo).listen(Number(port), '127.0.0.1');
}
