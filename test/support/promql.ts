import { parser } from '@prometheus-io/lezer-promql';

/** What a query asks for. */
export interface QueriedMetric {
  readonly metric: string;
  /** Of its matchers, and of the aggregations around it. */
  readonly labels: readonly string[];
  /** Whether it is asked for over a stretch of time. */
  readonly isRange: boolean;
}

/**
 * The metrics of a query in PromQL.
 * @throws Error where it is none
 */
export function metricsOf(query: string): QueriedMetric[] {
  const found: { metric: string; labels: string[]; isRange: boolean; from: number; to: number }[] = [];
  const groupings: { labels: string[]; from: number; to: number }[] = [];
  const text = ({ from, to }: { from: number; to: number }) => query.slice(from, to);
  parser.parse(query).iterate({
    enter(node) {
      if (node.type.isError) throw new Error(`expected PromQL, got ${query} (at ${node.from})`);
      if (node.name === 'VectorSelector') {
        const name = node.node.getChild('Identifier');
        if (!name) throw new Error(`expected a metric's name: ${text(node)}`);
        const isRange = node.node.parent?.name === 'MatrixSelector';
        found.push({ metric: text(name), labels: [], isRange, from: node.from, to: node.to });
      }
      if (node.name === 'UnquotedLabelMatcher') {
        const label = node.node.getChild('LabelName');
        if (label) found.at(-1)?.labels.push(text(label));
      }
      if (node.name === 'AggregateExpr') {
        const labels: string[] = [];
        node.node
          .getChild('AggregateModifier')
          ?.cursor()
          .iterate((inner) => {
            if (inner.name === 'LabelName') labels.push(text(inner));
          });
        groupings.push({ labels, from: node.from, to: node.to });
      }
    },
  });
  return found.map(({ metric, labels, isRange, from, to }) => ({
    metric,
    isRange,
    labels: [
      ...labels,
      ...groupings
        .filter((grouping) => grouping.from <= from && to <= grouping.to)
        .flatMap((grouping) => grouping.labels),
    ],
  }));
}
