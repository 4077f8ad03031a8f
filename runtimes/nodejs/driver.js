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
const runs = new Map(); // number to {number, timer, controller, cancelled} of those in hand
let answered = null; // the one of them that has answered while it was called
let loading = false;
let prepared = false; // there was time for it before the handler was known
let ending = false; // the process ends, and says so

// What was given is sent once node has nothing left to do that was due: a promise that was rejected and that nobody waits
// for still makes the run fail. The addon does so by itself for what is given while it calls us.
function given(run, wantsFlush) {
    cancel(run.timer);
    if (wantsFlush === true) {
        later(flush, run);
    } else if (wantsFlush === false) {
        settle();
        answered = run;
    }
}

function flush(run) {
    runs.delete(run.number);
    addon.flush(run.number, false);
}

// What the addon has sent by itself meanwhile is not in hand any more.
function settle() {
    if (answered !== null && !addon.inHand(answered.number)) {
        runs.delete(answered.number);
        answered = null;
    }
}

function isInHand(run) {
    return runs.get(run.number) === run;
}

function succeed(run, result) {
    if (!isInHand(run))
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
    if (isInHand(run))
        given(run, addon.reply(run.number, ...parts));
}

function fail(run, error) {
    if (!isInHand(run))
        return;
    if (error instanceof ResultError)
        given(run, addon.error(run.number, errors.FUNCTION_ERROR, error.message, []));
    else
        given(run, addon.error(run.number, ...errors.explain(error)));
}

// The run has broken the process: it is told so, and another process takes over.
function failLast(run, error, message = null) {
    const [, text, trace] = errors.explain(error);
    addon.last(1);
    given(run, addon.error(run.number, errors.FUNCTION_ERROR, message ?? text, trace));
}

// The run in hand that the code at work belongs to, as far as anybody can tell; undefined: none, or one of several.
function culprit() {
    settle();
    const number = output.owner();
    if (number !== undefined)
        return runs.get(number);
    return runs.size === 1 ? runs.values().next().value : undefined;
}

// context.signal: an AbortSignal, made for those who look at it.
function addSignal(context, run) {
    Object.defineProperty(context, 'signal', {
        configurable: true,
        enumerable: false,
        get() {
            run.controller ??= new AbortController();
            if (run.cancelled)
                run.controller.abort();
            return run.controller.signal;
        },
    });
    return context;
}

function invoke(payload, context) {
    return handle(context, payload);
}

function onRun(number, kind, payload, contextText, timeoutMs) {
    settle();
    const run = { number, timer: undefined, controller: null, cancelled: false };
    runs.set(number, run);
    if (timeoutMs > 0)
        run.timer = after(onTimeout, timeoutMs, run);
    output.begin(number, () => {
        let result;
        try {
            const value = kind === JSON_PAYLOAD ? parse(payload) : kind === NO_PAYLOAD ? null : payload;
            result = invoke(value, addSignal(parse(contextText), run));
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

// Nobody waits for the run any more.
function onCancel(number) {
    const run = runs.get(number);
    if (run === undefined)
        return;
    run.cancelled = true;
    if (run.controller !== null)
        output.begin(number, () => run.controller.abort());
}

// Only where nobody else ends a run that takes too long; the code cannot be stopped but with its process.
function onTimeout(run) {
    if (isInHand(run)) {
        addon.last(1);
        given(run, addon.error(run.number, errors.FUNCTION_ERROR, 'Function execution exceeded the timeout', []));
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
    const run = culprit();
    if (run !== undefined) {
        failLast(run, error);
        return;
    }
    const [, message, trace] = errors.explain(error);
    addon.log(2, Buffer.from(`after its run: ${trace.join('\n') || message}\n`), 0);
    if (runs.size > 0) {
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
    } else {
        const first = culprit(), error = new Error('process.exit');
        for (const run of runs.values()) {
            failLast(run, error, first === run ? `the handler called process.exit(${code})` :
                `another run in the same process called process.exit(${code})`);
            addon.flush(run.number, true);
        }
    }
    process.exitCode = 1;
}

function onNothingLeft() {
    if (loading)
        failLoad(new errors.LoadError('its top-level await waits for something that will never happen'));
}

// What every function would wait for once: the loader of modules, the log, what is around a run.
function prepare() {
    const found = require('./handler.js');
    errors.setFolder(__dirname, __dirname);
    found.provideLibrary();
    found.warm();
    output.warm();
    output.begin(0, () => toReply(parse('{"a":[1,"b"]}')));
    errors.explain(new Error('none'));
    prepared = true;
}

async function load(handler, folder) {
    const found = require('./handler.js');
    const real = require('fs').realpathSync(folder);
    errors.setFolder(folder, real);
    if (!prepared)
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
        special = addon.open(argument, prepare);
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
            addon.loaded(onRun, onCancel, onEnd);
            if (!prepared)
                later(output.warm);
        } catch {
            ending = true;
            exit(70);
        }
    }, failLoad);
}

module.exports = { main };
