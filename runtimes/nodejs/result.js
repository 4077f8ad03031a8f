// What a handler returned, as status, content type, header fields and body of a reply.
'use strict';

const util = require('util');

const { stringify } = JSON;
const RESPONSE = Symbol.for('dispatch.response');
const JSON_TYPE = 'application/json', BYTES_TYPE = 'application/octet-stream', TEXT_TYPE = 'text/plain; charset=utf-8';
// Either a pair of surrogates or an escaped backslash, to be stepped over; or half a pair, which is no text.
const SURROGATES = /\\\\|\\u[dD][89abAB][0-9a-fA-F]{2}\\u[dD][c-fC-F][0-9a-fA-F]{2}|\\u[dD][89a-fA-F][0-9a-fA-F]{2}/g;

// The function's mistake: the message says what about its result.
class ResultError extends Error {}

function toBytes(value) {
    if (value instanceof Uint8Array)
        return Buffer.isBuffer(value) ? value : Buffer.from(value.buffer, value.byteOffset, value.byteLength);
    if (ArrayBuffer.isView(value))
        return Buffer.from(value.buffer, value.byteOffset, value.byteLength);
    if (util.types.isAnyArrayBuffer(value))
        return Buffer.from(value);
    return null;
}

function toJson(value) {
    let text;
    try {
        text = stringify(value === undefined ? null : value);
    } catch (error) {
        throw new ResultError(`the result cannot be sent as JSON: ${error instanceof Error ? error.message : String(error)}`);
    }
    if (text === undefined)
        throw new ResultError(`the result cannot be sent as JSON: it is a ${typeof value}`);
    if (text.includes('\\ud'))
        text = text.replace(SURROGATES, (found) => found.length === 6 ? '\ufffd' : found);
    return text;
}

function toFields(headers) {
    const pairs = headers === null || headers === undefined ? [] :
        typeof headers[Symbol.iterator] === 'function' ? Array.from(headers) : Object.entries(headers);
    const fields = [];
    let type = null;
    for (const pair of pairs) {
        if (!Array.isArray(pair) || pair.length !== 2)
            throw new ResultError('the response cannot be sent: its headers are neither an object nor pairs');
        for (const value of Array.isArray(pair[1]) ? pair[1] : [pair[1]]) {
            const name = String(pair[0]).toLowerCase();
            if (/[\0\r\n]/.test(name + value))
                throw new ResultError(`the response cannot be sent: header field ${stringify(name)} is not allowed`);
            if (name === 'content-type')
                type = String(value);
            else
                fields.push(name, String(value));
        }
    }
    return [type, fields];
}

function respond(status, headers, body) {
    if (!Number.isInteger(status) || status < 200 || status > 599)
        throw new ResultError(`the response cannot be sent: status ${util.inspect(status)} is not a number from 200 to 599`);
    const [type, fields] = toFields(headers);
    if (body === null || body === undefined)
        return [status, type, fields, null, false];
    const bytes = toBytes(body);
    if (bytes !== null)
        return [status, type ?? BYTES_TYPE, fields, bytes, false];
    if (typeof body === 'string')
        return [status, type ?? TEXT_TYPE, fields, body, false];
    return [status, type ?? JSON_TYPE, fields, toJson(body), true];
}

function isPlain(value) {
    if (value === null || typeof value !== 'object')
        return true;
    const prototype = Object.getPrototypeOf(value);
    return prototype === Object.prototype || prototype === Array.prototype || prototype === null;
}

// The fetch standard's Response, without loading it for those who do not use it.
function isWebResponse(value) {
    return value[Symbol.toStringTag] === 'Response' && typeof value.arrayBuffer === 'function';
}

// The arguments of the addon's reply(), or a promise of them.
function toReply(result) {
    if (isPlain(result))
        return [0, JSON_TYPE, null, toJson(result), true];
    const bytes = toBytes(result);
    if (bytes !== null)
        return [0, BYTES_TYPE, null, bytes, false];
    if (result[RESPONSE] === true)
        return respond(result.status, result.headers, result.body);
    if (isWebResponse(result)) {
        const headers = [...result.headers];
        return result.arrayBuffer().then((body) => respond(result.status, headers, result.body === null ? null : body));
    }
    return [0, JSON_TYPE, null, toJson(result), true];
}

module.exports = { toReply, ResultError };
