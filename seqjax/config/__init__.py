"""Experiment configurations: their schema, loading with overrides, and errors that name the mend. Imports no JAX."""

from seqjax.config.cells import build_cell as build_cell
from seqjax.config.cells import cell_class as cell_class
from seqjax.config.cells import cell_fields as cell_fields
from seqjax.config.cells import cell_names as cell_names
from seqjax.config.cells import check_cell as check_cell
from seqjax.config.load import config_from_dict as config_from_dict
from seqjax.config.load import config_to_dict as config_to_dict
from seqjax.config.load import config_to_yaml as config_to_yaml
from seqjax.config.load import find_config as find_config
from seqjax.config.load import json_schema as json_schema
from seqjax.config.load import load_config as load_config
from seqjax.config.load import named_configs as named_configs
from seqjax.config.load import parse_overrides as parse_overrides
from seqjax.config.own_cells import cells_of as cells_of
from seqjax.config.own_cells import is_path as is_path
from seqjax.config.schema import ExperimentConfig as ExperimentConfig
from seqjax.config.schema import ModelConfig as ModelConfig
from seqjax.config.schema import SampleConfig as SampleConfig
from seqjax.config.schema import TrainConfig as TrainConfig
from seqjax.config.transforms import apply_transforms as apply_transforms
from seqjax.config.transforms import check_transforms as check_transforms
from seqjax.config.transforms import transform_names as transform_names
from seqjax.config.transforms import transform_options as transform_options
