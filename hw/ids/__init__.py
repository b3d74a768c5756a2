"""Between the bus and the network: frames become features, and judgements become records for a host."""
