import { upsertMemo, type WorkflowInterceptors } from '@temporalio/workflow';

/** A user's workflow interceptor: leaves its mark on every workflow that it sees. */
export const interceptors = (): WorkflowInterceptors => ({
  inbound: [
    {
      execute(input, next) {
        upsertMemo({ seenBy: 'own interceptor' });
        return next(input);
      },
    },
  ],
});
