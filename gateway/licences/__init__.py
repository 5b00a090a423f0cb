"""E-licences checked for anybody: what the chain and the issuers' nodes say, kept and aged; one function judges.

Nothing about a holder is kept or written: a licence lives as long as the answer about it.
"""
