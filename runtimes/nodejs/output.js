// process.stdout and process.stderr as streams into the run's log.
'use strict';

const { AsyncLocalStorage } = require('async_hooks');

// Which run the code at work belongs to: the run's number; nothing for what was begun while the handler was loaded.
const runOf = new AsyncLocalStorage();

let muted = false;
let current = 0; // the last run; that none is in hand the addon sees by itself

function begin(run, body) {
    current = run;
    return runOf.run(run, body);
}

// Something that an earlier run left behind: it must not show up in the log of the run in hand.
function isOutside() {
    const run = runOf.getStore();
    return run !== undefined && run !== current;
}

function makeStream(fd, log) {
    const { Writable } = require('stream');

    class Log extends Writable {
        constructor() {
            super({ emitClose: false });
            this.fd = fd;
            this._type = 'pipe';
            this._isStdio = true;
        }

        _write(chunk, encoding, done) {
            if (!muted)
                log(fd, chunk, isOutside());
            done();
        }

        // Stays open: what ends a stream that it was handed must not end the log.
        end(chunk, encoding, done) {
            const last = [chunk, encoding, done].find((value) => typeof value === 'function');
            if (chunk !== undefined && chunk !== null && typeof chunk !== 'function')
                this.write(chunk, typeof encoding === 'string' ? encoding : undefined);
            if (last !== undefined)
                process.nextTick(last);
            return this;
        }

        destroy() {
            return this;
        }

        destroySoon() {
            return this;
        }
    }
    return new Log();
}

function install(log) {
    for (const [name, fd] of [['stdout', 1], ['stderr', 2]]) {
        let stream;
        Object.defineProperty(process, name, {
            configurable: true,
            enumerable: true,
            get() {
                stream ??= makeStream(fd, log);
                return stream;
            },
            set(value) {
                stream = value;
            },
        });
    }
}

// The first console.log makes the stream and takes milliseconds: better before the first run than in it.
function warm() {
    muted = true;
    console.log('%s', '');
    muted = false;
}

module.exports = { warm, install, begin, isOutside };
