// The entry point: takes its own out of what the function will see, and starts the driver.
'use strict';

const handler = process.argv[2];
process.argv.length = 1;
require('./driver.js').main(handler);
