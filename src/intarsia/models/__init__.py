"""Networks: images -> Output. One file per architecture; `encoders` and `blocks` hold what they are built of.

Importing the family makes the three Outputs known to torch as pytrees, so that export, compile and data-parallel see their tensors.
"""

from torch.export import register_dataclass

from intarsia.core.output import Dense, Queries, Regions

for _output in (Dense, Queries, Regions):
    register_dataclass(_output, serialized_type_name=f"intarsia.{_output.__name__}")
