"""What Tollgate promises to reach, measured: one module for each row of the table.

Every figure stands beside a reference that was measured in the same minute on the same machine:
ratios count, absolute figures do not travel.
"""
