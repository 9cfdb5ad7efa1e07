/** `hpff schema`: the JSON Schema of recipes, for editors. */
import { recipeJsonSchema } from '../../recipe/index.js';
import { newCommand, type AddCommand, type CommonOptions } from '../command.js';
import { Output } from '../output.js';

export const addSchema: AddCommand = (program, streams) => {
  newCommand(program, 'schema', 'print the JSON Schema of recipes').action((options: CommonOptions) => {
    const schema = recipeJsonSchema();
    new Output(streams, options.json ?? false).result(schema, JSON.stringify(schema, null, 2));
  });
};
