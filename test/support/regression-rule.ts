/** Local regression: a linear map of the pooled features is to give the one-hot label, by least squares. */
import { globalAveragePool, mul, oneHot, reduceMean, sub } from '../../src/graph/index.js';
import { dense } from '../../src/nn/index.js';
import type { LocalRuleHeads } from '../../src/local/rules/index.js';

export const regression: LocalRuleHeads = ({ network }, { label }) => [
  {
    weight: 1,
    head: {
      kind: 'classifier',
      build: (context, features) => dense(context, 'fc1', globalAveragePool(features), network.classes),
      loss: (output) => {
        const error = sub(output, oneHot(label, network.classes));
        return reduceMean(mul(error, error));
      },
    },
  },
];
