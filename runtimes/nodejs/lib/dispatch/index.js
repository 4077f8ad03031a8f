// What a handler may use of Dispatch: a reply with a status and header fields of its own.
//
//     const { Response } = require('dispatch');
//
//     module.exports = (context, payload) =>
//         new Response({ error: 'gone' }, { status: 410, headers: { 'Cache-Control': 'no-store' } });
'use strict';

// body: a Buffer or typed array (application/octet-stream), a string (text/plain; charset=utf-8), null (no body), or
// anything JSON has. headers: an object, a Map or pairs of name and value; an array of values repeats the field. A
// Content-Type among them wins over the defaults above.
class Response {
    constructor(body = null, { status = 200, headers = null } = {}) {
        this.body = body;
        this.status = status;
        this.headers = headers;
    }

    get [Symbol.for('dispatch.response')]() {
        return true;
    }
}

// The caller is to blame: the run ends as an InputError.
class InputError extends Error {
    get name() {
        return 'InputError';
    }
}

module.exports = { Response, InputError };
