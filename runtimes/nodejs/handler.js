// Finds and loads the handler.
//
// A handler is a path in the source, which names a module, and what of it is called is its export: the module itself
// (module.exports = fn), `default` or `handle`. Where no such file is there, what is behind the last dot names the export:
// dir/file.name.
'use strict';

const fs = require('fs');
const Module = require('module');
const path = require('path');
const { LoadError } = require('./errors.js');

const EXTENSIONS = ['.js', '.cjs', '.mjs'];

function kindOf(file) {
    try {
        const stat = fs.statSync(file);
        return stat.isFile() ? 'file' : stat.isDirectory() ? 'folder' : 'other';
    } catch {
        return 'none';
    }
}

// What a package.json in the folder names as its main file, or ''.
function packageMain(folder) {
    const file = path.join(folder, 'package.json');
    if (kindOf(file) !== 'file')
        return '';
    let described;
    try {
        described = JSON.parse(fs.readFileSync(file, 'utf8'));
    } catch (error) {
        throw new LoadError(`package.json is no JSON: ${error.message}`);
    }
    return described !== null && typeof described.main === 'string' ? described.main : '';
}

// The file that a path without an extension, or of a folder, stands for; '' when there is none.
function findFile(base, depth = 0) {
    if (kindOf(base) === 'file')
        return base;
    for (const extension of EXTENSIONS) {
        if (kindOf(base + extension) === 'file')
            return base + extension;
    }
    if (kindOf(base) !== 'folder' || depth > 1)
        return '';
    const main = packageMain(base);
    return (main && findFile(path.join(base, main), depth + 1)) || (depth === 0 && findFile(path.join(base, 'index'), 2)) || '';
}

function defaultFile(folder) {
    const names = fs.readdirSync(folder).filter((name) => !name.startsWith('.') && kindOf(path.join(folder, name)) === 'file');
    const scripts = names.filter((name) => EXTENSIONS.includes(path.extname(name))).sort();
    const plain = scripts.filter((name) => name.endsWith('.js'));
    const main = packageMain(folder);
    if (main) {
        const file = findFile(path.join(folder, main));
        if (file)
            return file;
        throw new LoadError(`package.json names '${main}' as main, which is not there`);
    }
    for (const found of [plain, scripts]) {
        if (found.length === 1)
            return path.join(folder, found[0]);
    }
    const there = scripts.length === 0 ? 'no *.js file' : `more than one: ${scripts.slice(0, 10).join(', ')}`;
    throw new LoadError(`no handler is named, and /function has ${there}: name one as ./file.js`);
}

// A handler to the file and the export that is asked for ('' for any).
function locate(handler, folder) {
    if (handler === '')
        return [defaultFile(folder), ''];
    const base = path.resolve(folder, handler);
    if (base !== folder && !base.startsWith(folder === '/' ? '/' : folder + '/'))
        throw new LoadError(`handler '${handler}' is not in the function's source`);
    const file = findFile(base);
    if (file)
        return [file, ''];
    const dot = handler.lastIndexOf('.');
    const name = dot > 0 && handler[dot - 1] !== '.' && handler[dot - 1] !== '/' ? handler.slice(dot + 1) : '';
    const stem = name && !name.includes('/') ? findFile(path.resolve(folder, handler.slice(0, dot))) : '';
    if (stem && !EXTENSIONS.includes('.' + name))
        return [stem, name];
    throw new LoadError(`no module '${handler}' in /function`);
}

// require() of what may be an ES module as well: only loading it tells.
async function load(file) {
    if (!file.endsWith('.mjs')) {
        try {
            return Module.createRequire(file)(file);
        } catch (error) {
            const isModule = error !== null && typeof error === 'object' &&
                (error.code === 'ERR_REQUIRE_ESM' || error.code === 'ERR_REQUIRE_ASYNC_MODULE');
            if (!isModule)
                throw error;
        }
    }
    return import(require('url').pathToFileURL(file).href);
}

function pick(loaded, wanted) {
    if (wanted)
        return loaded === null || loaded === undefined ? undefined : loaded[wanted] ?? loaded.default?.[wanted];
    for (const candidate of [loaded, loaded?.default, loaded?.handle, loaded?.default?.handle, loaded?.default?.default]) {
        if (typeof candidate === 'function')
            return candidate;
    }
    return undefined;
}

// Resolves to the function to call; process.argv[1] becomes its file, as if node had been started with it.
async function find(handler, folder) {
    const [file, wanted] = locate(handler, folder);
    process.argv[1] = file;
    const loaded = await load(file);
    const found = pick(loaded, wanted);
    const module = path.relative(folder, file);
    if (typeof found === 'function')
        return found;
    if (wanted && found !== undefined)
        throw new LoadError(`'${wanted}' in module './${module}' is not a function but ${typeof found}`);
    throw new LoadError(wanted ? `module './${module}' has no function '${wanted}'` :
        `module './${module}' exports no function: module.exports = (context, payload) => ..., or export default`);
}

// The loader, as for a handler.
function warm() {
    const file = locate('./warm.js', __dirname)[0];
    pick(Module.createRequire(file)(file), '');
    delete require.cache[file];
}

// require('dispatch') is what lib/ has, unless the function brings one of its own.
function provideLibrary() {
    const resolve = Module._resolveFilename;
    Module._resolveFilename = function (request, ...rest) {
        if (request !== 'dispatch')
            return resolve.call(this, request, ...rest);
        try {
            return resolve.call(this, request, ...rest);
        } catch {
            return path.join(__dirname, 'lib', 'dispatch', 'index.js');
        }
    };
}

module.exports = { find, provideLibrary, warm };
