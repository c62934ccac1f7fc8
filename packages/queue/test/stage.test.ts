// Every form of a stage keeps the same contract.

import { cryptoStage } from '../src/index.ts';
import { linkTo, redisServer } from './fixtures.ts';
import { stageContract } from './stage.contract.ts';

stageContract('redis', async (stack) => cryptoStage(await linkTo(stack, await redisServer(stack))));
