// Logs in each way there is; `count` says how many lines.
const { spawnSync } = require('child_process');

module.exports = (context, payload) => {
    for (let number = 1; number <= Number(payload?.count ?? 1); number++)
        console.log('line', number);
    console.error('something is odd');
    process.stderr.write('what is written to a stream is logged as it is\n');
    spawnSync('echo', ['child processes log too'], { stdio: 'inherit' });
};
