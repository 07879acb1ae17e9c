import { fileURLToPath } from 'node:url';

/** Where the build step puts the bundle of our workflows: beside their compiled folder. */
export const WORKFLOW_BUNDLE = fileURLToPath(new URL('../workflow-bundle.js', import.meta.url));
