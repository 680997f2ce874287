"""What is the ledger's own in sealing; the rest is `runtime.segments`.

Which columns stand beside its facts, what a verification checks beyond the chains, and what is
done by a process of its own.
"""
