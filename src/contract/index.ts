export * from './errors.js';
export * from './job.js';
export * from './model-card.js';
export * from './queues.js';
export * from './request.js';
