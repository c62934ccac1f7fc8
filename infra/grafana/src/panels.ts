// The forms of panel that the dashboards are made of. A query is PromQL; `$__rate_interval` is Grafana's.

import { BigValueColorMode } from '@grafana/grafana-foundation-sdk/common';
import {
  DashboardBuilder as Builder,
  type DashboardBuilder,
  DatasourceVariableBuilder,
  RowBuilder,
  ThresholdsConfigBuilder,
  ThresholdsMode,
} from '@grafana/grafana-foundation-sdk/dashboard';
import { DataqueryBuilder, PromQueryFormat } from '@grafana/grafana-foundation-sdk/prometheus';
import { PanelBuilder as StatBuilder } from '@grafana/grafana-foundation-sdk/stat';
import { PanelBuilder as TableBuilder } from '@grafana/grafana-foundation-sdk/table';
import { PanelBuilder as TimeSeriesBuilder } from '@grafana/grafana-foundation-sdk/timeseries';

/** Of Grafana's list of units. */
type Unit = 's' | 'bytes' | 'short' | 'percentunit' | 'mps' | 'dateTimeAsIso';

/** Legend, in Grafana's `{{label}}` form, and what is asked. */
type Queries = Readonly<Record<string, string>>;

interface Shown {
  readonly title: string;
  /** What it means and what to do about it. */
  readonly about: string;
  readonly unit: Unit;
  readonly queries: Queries;
}

interface Bad {
  /** From this value on it is red. */
  readonly badFrom?: number;
  /** Below this value it is red. */
  readonly badBelow?: number;
}

export type Panel = StatBuilder | TableBuilder | TimeSeriesBuilder;

const source = { type: 'prometheus', uid: '$datasource' };
const [wide, narrow, half] = [24, 4, 12];
const [low, tall] = [4, 8];

/** One number. */
export function number({ title, about, unit, queries, badFrom, badBelow }: Shown & Bad): Panel {
  const steps =
    badBelow === undefined
      ? [{ value: null, color: 'green' }, ...(badFrom === undefined ? [] : [{ value: badFrom, color: 'red' }])]
      : [
          { value: null, color: 'red' },
          { value: badBelow, color: 'green' },
        ];
  return new StatBuilder()
    .title(title)
    .description(about)
    .datasource(source)
    .unit(unit)
    .span(narrow)
    .height(low)
    .colorMode(BigValueColorMode.Value)
    .thresholds(new ThresholdsConfigBuilder().mode(ThresholdsMode.Absolute).steps(steps))
    .targets(targets(queries, 'instant'));
}

/** Lines over time. */
export function lines({ title, about, unit, queries }: Shown): Panel {
  return new TimeSeriesBuilder()
    .title(title)
    .description(about)
    .datasource(source)
    .unit(unit)
    .min(0)
    .fillOpacity(10)
    .span(half)
    .height(tall)
    .targets(targets(queries, 'range'));
}

/** A row for each series. */
export function table({ title, about, unit, queries }: Shown): Panel {
  return new TableBuilder()
    .title(title)
    .description(about)
    .datasource(source)
    .unit(unit)
    .span(wide)
    .height(tall)
    .targets(targets(queries, 'table'));
}

function targets(queries: Queries, form: 'instant' | 'range' | 'table'): DataqueryBuilder[] {
  return Object.entries(queries).map(([legend, query]) => {
    const target = new DataqueryBuilder().expr(query).legendFormat(legend);
    if (form === 'range') return target.range();
    return form === 'table' ? target.instant().format(PromQueryFormat.Table) : target.instant();
  });
}

/** A dashboard of rows; `name` is a part of its address. */
export function dashboard(
  name: string,
  title: string,
  rows: Readonly<Record<string, readonly Panel[]>>,
): DashboardBuilder {
  const made = new Builder(`Sealpost: ${title}`)
    .uid(`sealpost-${name}`)
    .tags(['sealpost'])
    .refresh('30s')
    .time({ from: 'now-6h', to: 'now' })
    .timezone('browser')
    .readonly()
    .withVariable(new DatasourceVariableBuilder('datasource').label('Prometheus').type('prometheus'));
  for (const [row, panels] of Object.entries(rows)) {
    made.withRow(new RowBuilder(row));
    for (const panel of panels) made.withPanel(panel);
  }
  return made;
}
