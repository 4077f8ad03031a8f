// The function of the quickstart: greets, and shows how a handler logs.
module.exports = (context, payload) => {
    const { name = 'Noone', place = 'Nowhere' } = payload ?? {};
    console.log('messages to stdout show up in logs');
    return { myField: `Hello, ${name} from ${place}` };
};
