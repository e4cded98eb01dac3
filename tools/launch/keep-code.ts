/**
 * A step of the build: compile every function of a bundle and keep the code for those who run it (run-bundle.ts).
 *
 *   node keep-code.cjs BUNDLE
 *
 * V8 compiles a function when it is first called, and keeps what it has compiled. Told to compile all at once, it keeps all; code
 * bears the flags of the moment it is kept, so they are then what they are when the bundle runs.
 */
import { setFlagsFromString } from 'node:v8';
import { keepCode, readBundle } from './run-bundle.js';

const [, , file] = process.argv;
if (file === undefined) throw new Error('usage: node keep-code.cjs BUNDLE');
setFlagsFromString('--no-lazy');
const script = readBundle(file);
setFlagsFromString('--lazy');
keepCode(file, script.createCachedData());
