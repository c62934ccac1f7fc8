// What TypeScript knows of the metric table: names by kind, the labels that each must be given, and how a gauge is read.

import type { ErrorCode } from '@sealpost/core';
import type { metrics } from './metrics.ts';

type Table = typeof metrics;
export type MetricName = keyof Table;
type NamesOf<Kind extends 'counter' | 'histogram' | 'gauge'> = {
  [Name in MetricName]: Table[Name]['kind'] extends Kind ? Name : never;
}[MetricName];
export type CounterName = NamesOf<'counter'>;
export type HistogramName = NamesOf<'histogram'>;
export type GaugeName = NamesOf<'gauge'>;

/** The labels that a metric must be given, each with the values it may have. */
export type Labels<Name extends MetricName> = {
  readonly [Label in keyof Table[Name]['labels']]: ValueOf<Table[Name]['labels'][Label]>;
};

type ValueOf<Values> = Values extends 'code'
  ? ErrorCode
  : Values extends 'configured' | 'domain'
    ? string
    : Values extends readonly (infer Value)[]
      ? Value
      : never;

/** One value of a gauge with its labels. */
export interface Reading<Name extends GaugeName> {
  readonly value: number;
  readonly labels: Labels<Name>;
}

type HasNoLabels<Name extends MetricName> = keyof Table[Name]['labels'] extends never ? true : false;

/** Labels may be left out where a metric has none. */
export type CountArguments<Name extends MetricName> =
  HasNoLabels<Name> extends true ? [labels?: Labels<Name>, by?: number] : [labels: Labels<Name>, by?: number];
export type LabelArguments<Name extends MetricName> =
  HasNoLabels<Name> extends true ? [labels?: Labels<Name>] : [labels: Labels<Name>];

/** How a gauge is read: one number where it has no labels, else one reading for each set of labels. */
export type GaugeRead<Name extends GaugeName> =
  HasNoLabels<Name> extends true
    ? () => number | Promise<number>
    : () => readonly Reading<Name>[] | Promise<readonly Reading<Name>[]>;
