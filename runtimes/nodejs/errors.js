// What was thrown, as type, message and trace of an error. Whatever a handler throws, nothing here does.
'use strict';

const path = require('path');
const util = require('util');

const INPUT_ERROR = 'InputError', FUNCTION_ERROR = 'FunctionError', SYSTEM_ERROR = 'SystemError';
const CAUSES_MAX = 8;

let prefixes = []; // of the function's files, as they stand in traces

function setFolder(folder, realFolder) {
    const { pathToFileURL } = require('url');
    prefixes = [];
    for (const each of new Set([folder, realFolder])) {
        const slashed = each.endsWith('/') ? each : each + '/';
        prefixes.push(pathToFileURL(slashed).href, slashed);
    }
}

function isError(value) {
    return util.types.isNativeError(value) || value instanceof Error;
}

function quietly(body, otherwise) {
    try {
        return body();
    } catch {
        return otherwise;
    }
}

function shown(value) {
    return quietly(() => util.inspect(value, { depth: 2, maxStringLength: 1000, maxArrayLength: 100 }), 'something that cannot be shown');
}

function messageOf(value) {
    if (typeof value === 'string')
        return value;
    if (!isError(value))
        return `${shown(value)} was thrown, which is no Error`;
    return quietly(() => String(value.message) || String(value.name), 'an error without a message') || 'Error';
}

function relative(line) {
    for (const prefix of prefixes)
        line = line.split(prefix).join('');
    return line;
}

function isOurs(line) {
    return line.includes(`(${__dirname}/`) || line.includes(`at ${__dirname}/`) || line.includes(`at async ${__dirname}/`) ||
        line.includes('node:internal/') || line.includes('(node:async_hooks');
}

function linesOf(error) {
    const stack = quietly(() => String(error.stack), '') || quietly(() => `${error.name}: ${error.message}`, 'Error');
    return stack.split('\n').filter((line) => !isOurs(line)).map(relative);
}

function traceOf(value) {
    if (!isError(value))
        return [];
    const lines = linesOf(value), seen = new Set([value]);
    for (let error = quietly(() => value.cause); isError(error) && !seen.has(error) && seen.size < CAUSES_MAX;
        error = quietly(() => error.cause)) {
        seen.add(error);
        lines.push(...linesOf(error).map((line, index) => index === 0 ? `caused by ${line}` : line));
    }
    return lines;
}

// The caller's fault is what the language calls a TypeError, and what a handler calls an InputError itself.
function typeOf(value) {
    const blamesInput = quietly(() => isError(value) && (value instanceof TypeError || value.name === 'TypeError' ||
        value.name === INPUT_ERROR || value.constructor.name === INPUT_ERROR), false);
    return blamesInput ? INPUT_ERROR : FUNCTION_ERROR;
}

function explain(value) {
    return [typeOf(value), messageOf(value), traceOf(value)];
}

// A failure of the load: the message says what kind of error it was, for it may be all that is read.
function explainLoad(value) {
    if (value instanceof LoadError)
        return [FUNCTION_ERROR, `cannot load the handler: ${value.message}`, []];
    const name = isError(value) ? quietly(() => `${String(value.name)}: `, '') : '';
    // What require() says has the stack of files behind it.
    const message = relative(messageOf(value).split('\nRequire stack:')[0]);
    return [FUNCTION_ERROR, `cannot load the handler: ${name}${message}`, traceOf(value)];
}

// The handler is not there: the message says all, a trace would only show the agent.
class LoadError extends Error {}

module.exports = { INPUT_ERROR, FUNCTION_ERROR, SYSTEM_ERROR, LoadError, setFolder, explain, explainLoad, messageOf, traceOf, shown,
    isError };
