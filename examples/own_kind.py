from checkback import JobContext, job


@job("primes.find")
def find(below: int, ctx: JobContext) -> int:
    """Find the prime numbers below a limit, without any cleverness."""
    primes: list[int] = []
    for number in range(2, below):
        if all(number % prime for prime in primes if prime * prime <= number):
            primes.append(number)
        ctx.progress(100 * number / below)
    ctx.artifact("primes.txt", "\n".join(map(str, primes)))
    return len(primes)
