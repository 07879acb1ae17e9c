/** Names under which clients start our workflows: they never change, since histories hold them. */
export const GENERATE_IMAGE = 'generateImage';
