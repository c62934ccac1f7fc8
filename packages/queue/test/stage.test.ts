// Both stages keep the same contract.

import { cryptoStage, deliveryStage } from '../src/index.ts';
import { linkTo, redisServer } from './fixtures.ts';
import { cryptoJobs, deliveryJobs, stageContract } from './stage.contract.ts';

stageContract('crypto', cryptoJobs, async (stack) => cryptoStage(await linkTo(stack, await redisServer(stack))));
stageContract('delivery', deliveryJobs, async (stack) => deliveryStage(await linkTo(stack, await redisServer(stack))));
