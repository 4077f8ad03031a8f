// Installs what a package.json names into DISPATCH_DEPS_ROOT/node_modules, by npm, with the image's own node: modules
// that are asked for from /function are looked for in /node_modules, by require and by import.
'use strict';
const { spawnSync } = require('child_process');
const fs = require('fs');
const path = require('path');

const certificates = '/etc/ssl/certs/ca-certificates.crt';
const places = ['/usr/lib/node_modules/npm/bin/npm-cli.js', '/usr/share/nodejs/npm/bin/npm-cli.js'];

function environment(npm) {
  const values = {
    npm_config_audit: 'false', npm_config_fund: 'false', npm_config_update_notifier: 'false',
    npm_config_progress: 'false', npm_config_color: 'false',
    npm_config_cache: path.join(process.env.HOME, '.npm'),
  };
  if (fs.existsSync('/etc/npmrc'))
    values.npm_config_globalconfig = '/etc/npmrc';
  if (fs.existsSync(certificates))
    values.NODE_EXTRA_CA_CERTS = certificates;
  if (npm.startsWith('/usr/share/nodejs/')) // where Debian keeps what its npm is made of
    values.NODE_PATH = '/usr/share/nodejs';
  return { ...values, ...process.env };
}

function main() {
  const root = process.env.DISPATCH_DEPS_ROOT;
  const npm = places.find((place) => fs.existsSync(place));
  if (npm === undefined) {
    console.error(`ERROR: there is no npm at ${places.join(' or ')}`);
    return 1;
  }
  const command = process.env.DISPATCH_DEPS_LOCK ? ['ci'] : ['install', '--no-package-lock'];
  const done = spawnSync(process.execPath, [npm, ...command, '--omit=dev'],
    { stdio: 'inherit', env: environment(npm) });
  if (done.error)
    throw done.error;
  if (done.status !== 0)
    return done.status || 1;
  if (fs.existsSync('node_modules')) {
    fs.rmSync('node_modules/.package-lock.json', { force: true });
    fs.renameSync('node_modules', path.join(root, 'node_modules'));
  }
  return 0;
}

process.exitCode = main();
