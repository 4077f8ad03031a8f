// A function with schemas: what does not fit them never reaches it, and what it returns is held to them too.
module.exports = (context, { count, price = 1 }) => ({ total: count * price });
