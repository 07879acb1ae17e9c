export * from './errors.js';
export * from './job.js';
export * from './model-card.js';
export * from './parse.js';
export * from './queues.js';
export * from './request.js';
export * from './workflow-types.js';
