import { proxyActivities } from '@temporalio/workflow';

// As a user's workflows file does it.
export * from 'temporal-diffusion/workflows';

const { greet } = proxyActivities<{ greet(name: string): Promise<string> }>({
  startToCloseTimeout: '10 seconds',
});

export async function greeting(name: string): Promise<string> {
  return greet(name);
}
