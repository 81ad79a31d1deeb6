"""Search spaces as frozen data: candidates, operators, macro-architectures, nets and user files. No torch here."""
