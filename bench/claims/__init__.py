"""What the paper claims, and we: the table of runnable claims, id -> where it is."""

CLAIMS: dict[str, str] = {
    name: f"closedloop.bench.claims.{name.lower()}:CLAIM"
    for name in (
        "P1",
        "T2",
        "T3",
        "T4",
        "C5",
        "T6",
        "T7",
        "T8",
        "P9",
        "E1",
        "E2",
        "E3",
        "E4",
        "E5",
        "A1",
    )
}
