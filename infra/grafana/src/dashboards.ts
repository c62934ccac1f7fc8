// All dashboards by the name of their file, as the JSON that Grafana provisions.

import { capacity } from './capacity.ts';
import { delivery } from './delivery.ts';
import { keys } from './keys.ts';
import { overview } from './overview.ts';
import { pipeline } from './pipeline.ts';
import { security } from './security.ts';

const builders = { overview, pipeline, delivery, keys, capacity, security };

/** File name → content. */
export const dashboardFiles: ReadonlyMap<string, string> = new Map(
  Object.entries(builders).map(([name, builder]) => [`${name}.json`, `${JSON.stringify(builder.build(), null, 2)}\n`]),
);
