// The agent's side in JavaScript: loads the handler, calls it for each run, and sees to it that a run ends once, whatever
// its code does.
'use strict';

const errors = require('./errors.js');
const output = require('./output.js');
const { toReply, ResultError } = require('./result.js');
const addon = require('./dispatch.node');

const JSON_PAYLOAD = 0, NO_PAYLOAD = 3; // enum agent_payload_kind
const { parse } = JSON;
const exit = process.exit.bind(process);
const later = setImmediate, after = setTimeout, cancel = clearTimeout;

let handle; // what the handler's module exported
let runs = 0;
let current = null; // {id, timer} of the last run; addon.busy() tells whether it is in hand still
let loading = false;
let ending = false; // the process ends, and says so

// What was given is sent once node has nothing left to do that was due: a promise that was rejected and that nobody waits
// for still makes the run fail. The addon does so by itself for what is given while it calls us.
function given(wantsFlush) {
    if (wantsFlush)
        later(addon.flush, false);
}

function succeed(run, result) {
    if (run !== current)
        return;
    let reply;
    try {
        reply = toReply(result);
    } catch (error) {
        fail(run, error);
        return;
    }
    if (typeof reply.then === 'function')
        reply.then((parts) => deliver(run, parts), (error) => fail(run, error));
    else
        deliver(run, reply);
}

function deliver(run, parts) {
    if (run === current) {
        cancel(run.timer);
        given(addon.reply(...parts));
    }
}

function fail(run, error) {
    if (run !== current)
        return;
    cancel(run.timer);
    if (error instanceof ResultError)
        given(addon.error(errors.FUNCTION_ERROR, error.message, []));
    else
        given(addon.error(...errors.explain(error)));
}

// The run in hand, as far as anybody can tell, has broken the process: it is told so, and another process takes over.
function failLast(error, message = null) {
    const [, text, trace] = errors.explain(error);
    addon.last(1);
    given(addon.error(errors.FUNCTION_ERROR, message ?? text, trace));
}

function invoke(payload, context) {
    return handle(context, payload);
}

function onRun(kind, payload, contextText, timeoutMs) {
    const run = { id: ++runs, timer: undefined };
    current = run;
    if (timeoutMs > 0)
        run.timer = after(onTimeout, timeoutMs, run);
    output.begin(run.id, () => {
        let result;
        try {
            const value = kind === JSON_PAYLOAD ? parse(payload) : kind === NO_PAYLOAD ? null : payload;
            result = invoke(value, parse(contextText));
        } catch (error) {
            fail(run, error);
            return;
        }
        if (result !== null && typeof result === 'object' && typeof result.then === 'function')
            Promise.resolve(result).then((value) => succeed(run, value), (error) => fail(run, error));
        else
            succeed(run, result);
    });
}

// Only where nobody else ends a run that takes too long; the code cannot be stopped but with its process.
function onTimeout(run) {
    if (run === current) {
        addon.last(1);
        given(addon.error(errors.FUNCTION_ERROR, 'Function execution exceeded the timeout', []));
    }
}

function onEnd(status) {
    ending = true;
    exit(status);
}

function failLoad(error) {
    loading = false;
    ending = true;
    addon.failed(...errors.explainLoad(error));
    exit(1);
}

// An exception that nobody caught, or a rejection that nobody handled.
function onUncaught(error) {
    if (ending)
        return;
    if (loading) {
        failLoad(error);
        return;
    }
    if (addon.busy() && !output.isOutside()) {
        failLast(error);
        return;
    }
    const [, message, trace] = errors.explain(error);
    addon.log(2, Buffer.from(`after its run: ${trace.join('\n') || message}\n`), true);
    if (addon.busy()) {
        addon.last(1); // what is in hand is not to blame
        return;
    }
    ending = true;
    exit(1);
}

// process.exit(), or there was nothing left to wait for.
function onExit(code) {
    if (ending)
        return;
    ending = true;
    if (loading) {
        addon.failed(errors.FUNCTION_ERROR, `cannot load the handler: process.exit(${code}) was called while importing it`,
            errors.traceOf(new Error('process.exit')).slice(1));
    } else if (addon.busy()) {
        failLast(new Error('process.exit'), `the handler called process.exit(${code})`);
        addon.flush(true);
    }
    process.exitCode = 1;
}

function onNothingLeft() {
    if (loading)
        failLoad(new errors.LoadError('its top-level await waits for something that will never happen'));
}

async function load(handler, folder) {
    const found = require('./handler.js');
    const real = require('fs').realpathSync(folder);
    errors.setFolder(folder, real);
    found.provideLibrary();
    handle = await found.find(handler, real);
}

function main(argument) {
    output.install(addon.log);
    process.on('exit', onExit);
    process.on('beforeExit', onNothingLeft);
    process.on('uncaughtException', onUncaught);
    process.on('unhandledRejection', onUncaught);

    let special;
    try {
        special = addon.open(argument);
    } catch {
        ending = true;
        exit(70);
    }
    if (special === null) {
        ending = true;
        exit(0);
    }
    loading = true;
    if (special.problem !== undefined) {
        failLoad(new errors.LoadError(special.problem));
        return;
    }
    if (process.env.TZ !== undefined)
        process.env.TZ = String(process.env.TZ); // V8 keeps the zone it began with until it is set in JavaScript
    load(special.handler, special.folder).then(() => {
        loading = false;
        try {
            addon.loaded(onRun, onEnd);
            later(output.warm);
        } catch {
            ending = true;
            exit(70);
        }
    }, failLoad);
}

module.exports = { main };
