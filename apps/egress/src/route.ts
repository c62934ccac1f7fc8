// Which next hop a recipient's mail goes to: the first configured route that fits direction and domain. There is no MX look-up;
// a real mail server follows and holds the long queue.

import { type Direction, domainOf } from '@sealpost/core';

/** What routing needs to know of a route. */
export interface RouteRule {
  readonly name: string;
  readonly direction?: Direction | undefined;
  /** Lower case. */
  readonly domains?: readonly string[] | undefined;
}

/** The route for one recipient; undefined where none fits (`route-missing`). */
export function routeFor<Rule extends RouteRule>(
  rules: readonly Rule[],
  direction: Direction,
  address: string,
): Rule | undefined {
  const domain = domainOf(address);
  return rules.find(
    (rule) =>
      (rule.direction ?? direction) === direction && (rule.domains === undefined || rule.domains.includes(domain)),
  );
}
