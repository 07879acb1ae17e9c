/*
 * The checkpoint helper: a process that makes CUDA's checkpoint calls for a host. It ends with its standard input, and
 * is killed where the driver does not return.
 */
import { openCheckpointDriver } from './checkpoint.js';
import { serveCheckpoints } from './checkpoint-server.js';

await serveCheckpoints(openCheckpointDriver, process.stdin, process.stdout);
