/** The rows of the papers' tables as recipes. */
import * as settings from './settings.js';

const { averaged, hierarchy, infoproLambda, lambda, released } = settings;

/** `local` of each rule without and with HPFF, for small images. */
const localRules = {
  dgl: { plain: () => ({ rule: 'dgl' }), hpff: { rule: 'dgl', hierarchy, patches: averaged('classifier') } },
  infopro: {
    plain: (...row) => ({ rule: 'infopro', classifier: { net: '1c2f' }, lambda: infoproLambda(...row) }),
    hpff: { rule: 'infopro', hierarchy, lambda: lambda([5, 0], [0.5, 0]), patches: released },
  },
  'infopro-contrastive': {
    plain: (...row) => ({
      rule: 'infopro',
      classifier: { net: '1c2f', loss: 'contrastive' },
      lambda: infoproLambda(...row),
    }),
    hpff: {
      rule: 'infopro',
      hierarchy,
      classifier: { loss: 'contrastive' },
      lambda: lambda([5, 0], [0.5, 0]),
      patches: released,
    },
  },
  predsim: {
    plain: () => ({ rule: 'predsim' }),
    hpff: { rule: 'predsim', hierarchy, patches: averaged('similarity', 'classifier') },
  },
  auglocal: {
    plain: () => ({ rule: 'auglocal', auglocal: { depth: 3, coefficient: 0.5 } }),
    hpff: {
      rule: 'auglocal',
      hierarchy,
      auglocal: { depth: 3, coefficient: 0.5 },
      patches: averaged('classifier'),
    },
  },
};

/** @returns {Map<string, object>} recipes by their path below graphs/ */
export function publishedRecipes() {
  return new Map(
    [...smallImageRows(), ...imagenetRows()].map((row) => [`${row.folder}/${row.recipe.name}.json`, row.recipe]),
  );
}

function* smallImageRows() {
  for (const [dataset, { image, ...training }] of Object.entries(settings.smallImages)) {
    for (const [networkName, { depth, modules: counts }] of Object.entries(settings.smallNetworks)) {
      const network = { type: 'cifar-resnet', depth, widths: [16, 16, 32, 64], classes: 10, image };
      const row = (suffix, cut) => rowOf(dataset, `${networkName}-${dataset}-${suffix}`, network, cut, training);
      yield row('bp', { local: { rule: 'bp' } });
      for (const modules of counts) {
        for (const [rule, { plain, hpff }] of Object.entries(localRules)) {
          yield row(`${rule}-k${modules}`, { split: { modules }, local: plain(dataset, networkName, modules) });
          yield row(`${rule}-hpff-k${modules}`, { split: { modules }, local: hpff });
        }
      }
    }
  }
}

function* imagenetRows() {
  for (const [networkName, shape] of Object.entries(settings.imagenetNetworks)) {
    const network = { type: 'imagenet-resnet', ...shape, classes: 1000, image: [3, 224, 224] };
    const row = (suffix, cut) =>
      rowOf('imagenet', `${networkName}-imagenet-${suffix}`, network, cut, settings.imagenet);
    const split = { boundaries: settings.imagenetBoundaries };
    // The published commands: 5 for the decoder; for the classifier 1 in ResNet-152, otherwise 0.75.
    const classifier = networkName === 'resnet152' ? 1 : 0.75;
    const infopro = { rule: 'infopro', lambda: lambda([5, 5], [classifier, classifier]) };
    yield row('bp', { local: { rule: 'bp' } });
    yield row('infopro-k4', { split, local: infopro });
    yield row('infopro-hpff-k4', { split, local: { ...infopro, hierarchy, patches: released } });
  }
}

const rowOf = (folder, name, network, cut, training) => ({
  folder,
  recipe: { $schema: '../../recipe.schema.json', name, network, ...cut, ...training, seed: 1 },
});
