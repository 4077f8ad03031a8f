// An endpoint's function: looks at method, query and header fields, and answers with a status and fields of its own.
const { Response } = require('dispatch');

module.exports = ({ request }, payload) => {
    if (request.method === 'DELETE')
        return new Response({ error: 'this stays' }, { status: 403 });
    const name = payload.name ?? 'stranger';
    if (request.header.Accept?.[0].includes('text/html'))
        return new Response(`<p>Hello, ${name}</p>\n`, { headers: { 'Content-Type': 'text/html; charset=utf-8' } });
    return new Response({ hello: name, method: request.method }, { headers: { 'Cache-Control': 'no-store' } });
};
