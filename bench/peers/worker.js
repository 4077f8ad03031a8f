// workerd: the same answer as the functions, computed from the query.
addEventListener('fetch', (event) => {
  const query = new URL(event.request.url).searchParams;
  const body = JSON.stringify({ myField: `Hello, ${query.get('name') || 'Noone'} from ${query.get('place') || 'Nowhere'}` });
  event.respondWith(new Response(body, { headers: { 'Content-Type': 'application/json' } }));
});
