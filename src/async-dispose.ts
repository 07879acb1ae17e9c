/*
 * Node 20.3 has no `Symbol.asyncDispose` yet (20.5 has). Import this before a class or an object that has such a method
 * is made; `await using` in any later module then finds it.
 */
if (Symbol.asyncDispose === undefined) {
  Object.defineProperty(Symbol, 'asyncDispose', { value: Symbol.for('Symbol.asyncDispose') });
}
