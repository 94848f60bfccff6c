"""M/M/c in SimPy: prints events (arrivals and ends of service), seconds of CPU time, and the mean wait."""

import random
import sys
import time

import simpy


def main(servers: int, arrivals: float, customers: int) -> None:
    rng = random.Random(7)
    env = simpy.Environment()
    pool = simpy.Resource(env, capacity=servers)
    counts = {"events": 0, "served": 0, "waited": 0.0}

    def customer():
        came = env.now
        with pool.request() as request:
            yield request
            counts["served"] += 1
            counts["waited"] += env.now - came
            yield env.timeout(rng.expovariate(1.0))
            counts["events"] += 1

    def source():
        for _ in range(customers):
            counts["events"] += 1
            env.process(customer())
            yield env.timeout(rng.expovariate(arrivals))

    env.process(source())
    begun = time.process_time()
    env.run()
    print(counts["events"], time.process_time() - begun, counts["waited"] / counts["served"])


main(int(sys.argv[1]), float(sys.argv[2]), int(sys.argv[3]))
