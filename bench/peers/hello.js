// Plain node: the same answer as the functions, computed from the query.
const http = require('node:http');

http.createServer((request, response) => {
  const query = new URLSearchParams(request.url.split('?')[1] || '');
  const body = JSON.stringify({ myField: `Hello, ${query.get('name') || 'Noone'} from ${query.get('place') || 'Nowhere'}` });
  response.writeHead(200, { 'Content-Type': 'application/json', 'Content-Length': Buffer.byteLength(body) });
  response.end(body);
}).listen(Number(process.argv[2]), '127.0.0.1');
