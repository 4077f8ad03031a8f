// Gives back what it got.
module.exports = (context, payload) => payload;
