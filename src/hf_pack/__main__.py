"""``python -m hf_pack``."""

from hf_pack.cli.main import main

raise SystemExit(main())
