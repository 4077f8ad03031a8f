// Loaded like a handler before there is one, so that the handler's own load finds everything warm.
'use strict';

module.exports = async (context, payload) => payload;
