// Runs that wait for each other: possible only in one instance, with a concurrency above 1.
const guests = [];
let begin;
const everybody = new Promise((resolve) => { begin = resolve; });

module.exports = async ({ signal }, payload) => {
    guests.push(payload.name);
    console.log(payload.name, 'has come');
    if (guests.length >= payload.guests)
        begin();
    // signal is aborted when nobody waits for this run any more
    await Promise.race([everybody, new Promise((resolve, reject) => {
        signal.addEventListener('abort', () => reject(signal.reason));
    })]);
    return [...guests].sort();
};
