// process.stdout and process.stderr as streams into the run's log.
'use strict';

const { AsyncLocalStorage } = require('async_hooks');

// Which run the code at work belongs to: the run's number; nothing for what was begun while the handler was loaded.
const runOf = new AsyncLocalStorage();

let muted = false;

function begin(run, body) {
    return runOf.run(run, body);
}

// The number of the run that the code at work belongs to, which may be over; undefined: of none in particular.
function owner() {
    return runOf.getStore();
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
                log(fd, chunk, owner());
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

module.exports = { warm, install, begin, owner };
