import { Client, Connection } from '@temporalio/client';
import { DiffusionClient } from '../../src/client/index.js';

/*
 * A product service, in a process of its own: asks for as many jobs of two pictures as the third argument says, at the
 * server and in the namespace of the first two, and prints what has become of each, a line a job.
 */

const [address = '', namespace = '', jobs = ''] = process.argv.slice(2);
const connection = await Connection.connect({ address });
const diffusion = new DiffusionClient(new Client({ connection, namespace }));
await Promise.all(
  Array.from({ length: Number(jobs) }, async (_, order) => {
    const job = await diffusion.generate({
      ...{ prompt: 'a red apple', width: 128, height: 128, steps: 8, count: 2, seed: 100 * (order + 1) },
      ...{ idempotencyKey: `order-${order}`, tags: { order: String(order) }, output: { format: 'webp' } },
    });
    console.log(JSON.stringify({ id: job.id, ...(await job.result()) }));
  }),
);
await connection.close();
