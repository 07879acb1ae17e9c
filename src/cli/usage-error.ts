/** The command line itself is wrong. The command ends with exit code 2, as for a request that breaks the contract. */
export class UsageError extends Error {}
