/** A managed switch; see managed-switch-api.ts for what it offers. */
export * from './managed-switch-api.ts';
